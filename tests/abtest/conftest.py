"""Laws are about results, not about how long a loaded machine takes for the first of them."""

from hypothesis import settings

settings.register_profile("relate", deadline=None)
settings.load_profile("relate")
