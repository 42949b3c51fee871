"""The methods of the protocol, one file a family, each imported when it is first called."""
