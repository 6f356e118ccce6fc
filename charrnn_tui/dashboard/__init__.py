"""The dashboard: a run on a screen, while it trains and after."""
