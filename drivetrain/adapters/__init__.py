"""The environment behind the interfaces of other libraries: Gymnasium's, one scene or many, and PettingZoo's."""
