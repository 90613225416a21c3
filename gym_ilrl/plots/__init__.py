"""Pictures of rewards, policies and occupancies; matplotlib is imported only when one is drawn."""
