"""Apollo is the web: the API of the contract, webhooks, git over HTTP, and the page that people look at.

consumes  what Hermes holds; events, for the streams
emits     `olympus.apollo.webhook-received`; what people and programs post as events
owns      `tokens/ID`, `users/NAME`, `audit/…`, `sessions/…`, `deliveries/…`, `intents/KIND/NAME`

routes    every route with its role: the server, OpenAPI and the tests use this one table
api_*     handlers, by subject             http_quart  the app: who may, what errors look like
"""
