"""What a camera on a vehicle would see: a pinhole, and pictures of a State drawn through it, with their labels."""
