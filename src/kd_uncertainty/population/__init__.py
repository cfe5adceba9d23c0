"""The population engine: a plan and targets go in, trained students and their predictions come out."""
