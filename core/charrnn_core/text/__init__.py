"""Characters to codes, and codes to the windows that a network is trained on."""
