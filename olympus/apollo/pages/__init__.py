"""The operators' pages: rendered here, alive by one stream of events.

A page only reads. What people do on it goes to the API, with its roles, its checks and its audit. What is shown is
a pure function of what was read (`view_*`), so that it is tested without HTTP.
"""

from olympus.apollo.pages.site import Pages

__all__ = ["Pages"]
