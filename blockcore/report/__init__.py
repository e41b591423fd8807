"""What an optimisation leaves behind: the result folder and its page."""
