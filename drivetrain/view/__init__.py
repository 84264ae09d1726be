"""What a person looks at: drawings of scenes and drives, and the self-contained page that replays them."""
