"""Three nodes look for one another's city: an application made of actors; see :mod:`examples.find_city.game`."""
