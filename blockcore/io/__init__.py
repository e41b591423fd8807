"""Bytes: files and folders that are whole or not there, and pictures."""
