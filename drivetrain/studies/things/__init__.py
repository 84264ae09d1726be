"""Things of any class: are kinds found that never had a box, and do boxes help to tell kinds apart?"""
