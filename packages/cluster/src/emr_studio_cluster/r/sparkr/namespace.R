# Makes a namespace of source files, so that `library(SparkR)` and `SparkR::sql` mean what is here without a package
# that would have to be installed for each R.
load_namespace <- function(name, folder, files) {
  ns <- make_namespace(name)
  for (package in c("methods", "stats", "utils", "jsonlite")) {
    namespaceImport(ns, package, from = name)
  }
  for (file in files) sys.source(file.path(folder, file), envir = ns)
  exported <- grep("^[.]", ls(ns), value = TRUE, invert = TRUE)
  namespaceExport(ns, exported)
  attach_exports(ns, name, exported)
}

make_namespace <- function(name) {
  imports <- new.env(hash = TRUE, parent = .BaseNamespaceEnv)
  attr(imports, "name") <- paste0("imports:", name)
  ns <- new.env(hash = TRUE, parent = imports)
  info <- new.env(hash = TRUE, parent = baseenv())
  assign("spec", c(name = name, version = "0.0"), envir = info)
  assign(".__NAMESPACE__.", info, envir = ns)
  assign(".packageName", name, envir = ns)
  setNamespaceInfo(ns, "exports", new.env(hash = TRUE, parent = baseenv()))
  setNamespaceInfo(ns, "imports", list(base = TRUE))
  setNamespaceInfo(ns, "dynlibs", NULL)
  setNamespaceInfo(ns, "S3methods", matrix(NA_character_, 0L, 4L))
  ns$.__S3MethodsTable__. <- new.env(hash = TRUE, parent = baseenv())
  .Internal(registerNamespace(name, ns))
  ns
}

# On the search path under a package's name: `library()` finds it there, and looks no further.
attach_exports <- function(ns, name, exported) {
  values <- mget(exported, envir = ns)
  suppressWarnings(attach(list2env(values), name = paste0("package:", name), warn.conflicts = FALSE))
}
