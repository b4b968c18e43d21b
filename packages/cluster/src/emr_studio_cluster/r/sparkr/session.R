# The session, and what is made from it, by SparkR's names.

spark <- new("SparkSession", root = "spark")
setMethod("show", "SparkSession", function(object) cat(sprintf("Spark %s, session of this notebook\n", sparkR.version())))

# spark$range(5), spark$table("t"): the session's own methods.
setMethod("$", "SparkSession", function(x, name) {
  if (name == "version") return(sparkR.version())
  function(...) {
    named <- list(...)
    own <- names(named)
    is_named <- if (is.null(own)) rep(FALSE, length(named)) else nzchar(own)
    .apply("spark", name, lapply(unname(named[!is_named]), .whole), lapply(named[is_named], .whole))
  }
})

# There is one already, on the attached cluster: settings that it can take while it runs are taken.
sparkR.session <- function(master = "", appName = "SparkR", sparkHome = "", sparkConfig = list(), ...) {
  asked <- c(sparkConfig, list(...))
  for (name in grep("^spark[.]", names(asked), value = TRUE)) {
    tryCatch(
      .call(.get("spark", "conf"), "set", name, as.character(asked[[name]])),
      SparkError = function(why) warning(sprintf("%s is not taken: %s", name, conditionMessage(why)), call. = FALSE)
    )
  }
  invisible(spark)
}
sparkR.session.stop <- function() {
  message("The session ends with this notebook's kernel.")
  invisible()
}
sparkR.version <- function() .get("spark", "version")
sparkR.conf <- function(key, defaultValue) {
  if (missing(key)) return(as.list(.call(.get("spark", "conf"), "getAll")))
  value <- if (missing(defaultValue)) .call(.get("spark", "conf"), "get", key)
  else .call(.get("spark", "conf"), "get", key, defaultValue)
  stats::setNames(list(value), key)
}
setLogLevel <- function(level) invisible()

sql <- function(sqlQuery) .call("spark", "sql", sqlQuery)
tableToDF <- function(tableName) .call("spark", "table", tableName)

.catalog <- function(do, ...) .call(.get("spark", "catalog"), do, ...)
.in_database <- function(what, databaseName) {
  .call("spark", "sql", if (is.null(databaseName)) what else sprintf("%s IN `%s`", what, databaseName))
}
tables <- function(databaseName = NULL) .in_database("SHOW TABLES", databaseName)
tableNames <- function(databaseName = NULL) .collected(tables(databaseName))$tableName
listTables <- tables
listDatabases <- function() .call("spark", "sql", "SHOW DATABASES")
listFunctions <- function(databaseName = NULL) .in_database("SHOW FUNCTIONS", databaseName)
listColumns <- function(tableName, databaseName = NULL) {
  .in_database(sprintf("SHOW COLUMNS IN %s", tableName), databaseName)
}
currentDatabase <- function() .catalog("currentDatabase")
setCurrentDatabase <- function(databaseName) invisible(.catalog("setCurrentDatabase", databaseName))
tableExists <- function(tableName) .catalog("tableExists", tableName)
dropTempView <- function(viewName) .catalog("dropTempView", viewName)
cacheTable <- function(tableName) invisible(.catalog("cacheTable", tableName))
uncacheTable <- function(tableName) invisible(.catalog("uncacheTable", tableName))
clearCache <- function() invisible(.catalog("clearCache"))
refreshTable <- function(tableName) invisible(.catalog("refreshTable", tableName))

# Schemas: structType(structField("a", "integer")), or a string as `a INT, b STRING`.
structField <- function(x, type = "string", nullable = TRUE) structure(list(name = x, type = type), class = "structField")
structType <- function(x, ...) {
  if (is.character(x)) return(x)
  fields <- list(x, ...)
  structure(
    list(names = vapply(fields, `[[`, "", "name"), types = vapply(fields, `[[`, "", "type")), class = "structType"
  )
}
.schema_text <- function(schema) {
  if (is.null(schema) || is.character(schema)) return(schema)
  types <- sub("^numeric$", "double", sub("^character$", "string", sub("^logical$", "boolean", schema$types)))
  paste0("`", schema$names, "` ", types, collapse = ", ")
}

# R's data.frame, or a list of rows, becomes Spark's.
createDataFrame <- function(data, schema = NULL, samplingRatio = 1, numPartitions = NULL) {
  if (is(data, "SparkDataFrame")) return(data)
  if (!is.data.frame(data)) data <- do.call(rbind, lapply(data, as.data.frame, stringsAsFactors = FALSE))
  # Spark's names have no dots; SparkR makes the same of them.
  names(data) <- gsub(".", "_", names(data), fixed = TRUE)
  if (is.character(schema) && !any(grepl("[ :]", schema))) {
    names(data) <- schema
    schema <- NULL
  }
  made <- .created(data, .schema_text(schema))
  if (is.null(numPartitions)) made else .call(made, "repartition", as.integer(numPartitions))
}
as.DataFrame <- createDataFrame

.reader <- function(options) {
  reader <- .get("spark", "read")
  for (name in names(options)) reader <- .call(reader, "option", name, options[[name]])
  reader
}
read.df <- function(path = NULL, source = "parquet", schema = NULL, na.strings = "NA", ...) {
  options <- list(...)
  if (source == "csv" && is.null(options[["nullValue"]])) options[["nullValue"]] <- na.strings
  reader <- .call(.reader(options), "format", source)
  if (!is.null(schema)) reader <- .call(reader, "schema", .schema_text(schema))
  if (is.null(path)) .call(reader, "load") else .call(reader, "load", if (length(path) > 1) as.list(path) else path)
}
loadDF <- read.df
read.parquet <- function(path, ...) .call(.reader(list(...)), "parquet", path)
read.json <- function(path, ...) .call(.reader(list(...)), "json", path)
read.orc <- function(path, ...) .call(.reader(list(...)), "orc", path)
read.text <- function(path, ...) .call(.reader(list(...)), "text", path)
read.jdbc <- function(url, tableName, ...) {
  .call(.call(.reader(c(list(url = url, dbtable = tableName), list(...))), "format", "jdbc"), "load")
}

# What R has under these names works for Spark's objects too; here for `SparkR::head` and its like.
head <- utils::head
as.data.frame <- base::as.data.frame
summary <- base::summary
unique <- base::unique
merge <- base::merge
nrow <- base::nrow
ncol <- base::ncol
