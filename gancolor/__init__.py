"""gancolor: train, evaluate and use GANs that colorize photographs."""
