// Maildirs
