"""A feature flag service like LaunchDarkly over real HTTP: management, and what its server SDKs poll."""
