"""How a policy runs: recipes, export, verification, and one file per runtime."""
