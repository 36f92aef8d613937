"""Leaf & Kettle: a small shop that lets Countersign look after its customers, known to it by OpenID Connect alone."""
