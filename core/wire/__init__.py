"""Bytes to packets to typed payloads, one module per dialect. Everything a peer can send is capped here."""
