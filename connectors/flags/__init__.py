"""Where applications ask which version a user gets: FlagServices over LaunchDarkly and over Langfuse."""
