"""What must come out, as closed forms and exact laws: gossip, random graphs, buckets, eviction, shuffling."""
