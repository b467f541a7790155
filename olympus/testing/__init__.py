"""Contract suites, builders and fakes: shipped, so that users can test their rules and adapters with them."""
