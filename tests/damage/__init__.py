"""Whatever is wrong with a file, a command answers in words: damaged inputs by the thousand."""
