"""What the kernel's cgroup v2 tree holds, what it should hold, and how to get from one to the other.

Pure: `paths`, `layout` (with `partitions` and `shrinking`), `protocol`, `verify`, `found`, `watch`.
The shell around them: `files`, `tree`, `held`, `capability`, `executor`, `tasks`.
"""
