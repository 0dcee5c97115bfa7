"""The journal: append, read, follow, and what is kept beside it. Only here are segments touched."""
