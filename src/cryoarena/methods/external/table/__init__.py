"""Results of any program, from a table of latents, classes or probabilities and a folder of maps."""
