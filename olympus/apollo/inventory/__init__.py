"""The inventory: what became of each Asset, who made it so, and who is told of it.

changes    how two states of a document differ, field by field; pure
telling    `olympus.apollo.asset-changed`: once for each change
reminders  `olympus.apollo.asset-expiring`, `asset-expired`: once for each nearness
relations  what names what; pure
table      assets as CSV, and back; pure
documents  changes of many as changes of the files that declare them; pure
"""
