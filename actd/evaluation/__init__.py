"""How exact and how fast engines are, side by side: actd eval and actd bench."""
