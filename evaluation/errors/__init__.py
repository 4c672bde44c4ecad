"""Error analysis: failures that people read and name, how much each kind of them costs, and which stage is to blame."""
