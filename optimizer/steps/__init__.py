"""One step of textual gradient descent: criticism, rewrite, admission, verification."""
