# R --file=start.R --args <connection file>: SparkR's functions over the session that the kernel's process holds, then
# R's own Jupyter kernel. A SparkR that somebody has installed (Spark's own, with a JVM of its own) is left alone.
local({
  sources <- Sys.getenv("EMR_STUDIO_R_SOURCES")
  spark_home <- file.path(Sys.getenv("SPARK_HOME"), "R", "lib")
  theirs <- nzchar(system.file(package = "SparkR", lib.loc = c(.libPaths(), spark_home)))
  if (!theirs) {
    loading <- new.env()
    sys.source(file.path(sources, "namespace.R"), envir = loading)
    loading$load_namespace("SparkR", sources, c("bridge.R", "columns.R", "frames.R", "session.R"))
  }
})
options(jupyter.rich_display = TRUE)
IRkernel::main(commandArgs(trailingOnly = TRUE)[[1]])
