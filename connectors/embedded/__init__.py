"""Parts that need nothing installed: Postgres and a broker out of wheels, and the processes that they run in."""
