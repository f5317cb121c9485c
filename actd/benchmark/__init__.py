"""How fast and how exact engines are on this computer: the work behind `actd bench`."""
