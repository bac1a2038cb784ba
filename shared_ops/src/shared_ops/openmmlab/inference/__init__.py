"""Pictures in, label maps out: what ``predict``, ``compare`` and ``serve`` have in common."""
