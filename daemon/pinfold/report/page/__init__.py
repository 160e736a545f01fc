"""The status page: one HTML document from a snapshot, whole without scripts, kept fresh by a short one."""
