# SparkDataFrame and GroupedData, by SparkR's names.

.frame_or_name <- function(x) if (is.character(x)) column(x) else x

# What stands in `...`: columns, names of columns, vectors or lists of them.
.columns_of <- function(...) {
  flat <- list()
  for (one in list(...)) flat <- c(flat, if (is.list(one) || is.character(one)) as.list(one) else list(one))
  flat
}

.frame_method <- function(names, body) .method(names, "SparkDataFrame", function(name) body)

# Looks.
.types <- function(x) {
  told <- .get(x, "dtypes")
  if (length(told)) do.call(rbind, lapply(told, unlist)) else matrix(character(), 0, 2)
}
setMethod("show", "SparkDataFrame", function(object) {
  types <- .types(object)
  cat(sprintf("SparkDataFrame[%s]\n", paste0(types[, 1], ":", types[, 2], collapse = ", ")))
})
setMethod("show", "GroupedData", function(object) cat("GroupedData\n"))
setMethod("show", "SparkObject", function(object) cat(sprintf("<%s of Spark>\n", object@kind)))
.frame_method("printSchema", function(x, ...) .printed(x, "printSchema"))
.frame_method("showDF", function(x, numRows = 20, truncate = TRUE, vertical = FALSE, ...) {
  .printed(x, "show", as.integer(numRows), if (is.logical(truncate)) truncate else as.integer(truncate), vertical)
})
.frame_method("explain", function(x, extended = FALSE, ...) .printed(x, "explain", extended))
.frame_method("dtypes", function(x, ...) lapply(seq_len(nrow(.types(x))), function(i) .types(x)[i, ]))
.frame_method("schema", function(x, ...) {
  types <- .types(x)
  structure(list(names = types[, 1], types = types[, 2]), class = "structType")
})
.frame_method("columns", function(x, ...) as.character(.get(x, "columns")))
setMethod("names", "SparkDataFrame", function(x) as.character(.get(x, "columns")))
.rows <- function(x) as.numeric(.call(x, "count"))
setMethod("dim", "SparkDataFrame", function(x) c(.rows(x), length(names(x))))
setMethod("length", "SparkDataFrame", function(x) length(names(x)))
setMethod("dimnames", "SparkDataFrame", function(x) list(NULL, names(x)))
.frame_method("isLocal", function(x, ...) FALSE)
.frame_method("isStreaming", function(x, ...) .get(x, "isStreaming"))
.frame_method("count", function(x, ...) .rows(x))
.frame_method("isEmpty", function(x, ...) .call(x, "isEmpty"))

# Rows come to R.
.frame_method("collect", function(x, ...) .collected(x))
.frame_method("take", function(x, num, ...) .collected(.call(x, "limit", as.integer(num))))
.frame_method("first", function(x, ...) .collected(.call(x, "limit", 1L)))
.s3("head", "SparkDataFrame", function(x, n = 6L, ...) .collected(.call(x, "limit", as.integer(n))))
.s3("as.data.frame", "SparkDataFrame", function(x, ...) .collected(x))
.s3("print", "structType", function(x, ...) {
  cat("StructType\n", sprintf('|-name = "%s", type = "%s"\n', x$names, x$types), sep = "")
})

# Columns of it.
.column_of <- function(x, name) .call(x, "__getitem__", name)
setMethod("$", "SparkDataFrame", function(x, name) .column_of(x, name))
setMethod("[[", "SparkDataFrame", function(x, i, ...) .column_of(x, if (is.character(i)) i else names(x)[[i]]))
setMethod("$<-", "SparkDataFrame", function(x, name, value) {
  if (is.null(value)) .call(x, "drop", name) else .call(x, "withColumn", name, lit(value))
})
setMethod("[[<-", "SparkDataFrame", function(x, i, ..., value) {
  .call(x, "withColumn", if (is.character(i)) i else names(x)[[i]], lit(value))
})
setMethod("[", "SparkDataFrame", function(x, i, j, ..., drop = TRUE) {
  if (!missing(i) && nargs() - !missing(drop) == 2L) {
    if (!.is_column(i)) return(.selected(x, i))
    j <- NULL
  }
  if (!missing(i)) x <- .call(x, "filter", i)
  if (missing(j) || is.null(j)) x else .selected(x, j)
})
.selected <- function(x, which) {
  .apply(x, "select", as.list(if (is.numeric(which) || is.logical(which)) names(x)[which] else which))
}
.frame_method("select", function(x, ...) .apply(x, "select", .columns_of(...)))
.frame_method("selectExpr", function(x, ...) .apply(x, "selectExpr", .columns_of(...)))
.frame_method(c("filter", "where"), function(x, condition, ...) .call(x, "filter", condition))
.frame_method("withColumn", function(x, colName, col, ...) .call(x, "withColumn", colName, lit(col)))
.mutated <- function(x, ...) {
  made <- list(...)
  for (name in names(made)) x <- .call(x, "withColumn", name, lit(made[[name]]))
  x
}
.frame_method("mutate", .mutated)
.s3("transform", "SparkDataFrame", function(`_data`, ...) .mutated(`_data`, ...))
.frame_method("withColumnRenamed", function(x, existingCol, newCol, ...) {
  .call(x, "withColumnRenamed", existingCol, newCol)
})
# rename(df, new = df$old)
.frame_method("rename", function(x, ...) {
  renamed <- list(...)
  for (name in names(renamed)) {
    old <- renamed[[name]]
    if (.is_column(old)) old <- sub("^Column<'(.*)'>$", "\\1", .call(old, "__repr__"))
    x <- .call(x, "withColumnRenamed", old, name)
  }
  x
})
setMethod("names<-", "SparkDataFrame", function(x, value) .apply(x, "toDF", as.list(value)))
setMethod("dimnames<-", "SparkDataFrame", function(x, value) .apply(x, "toDF", as.list(value[[2]])))
.frame_method("drop", function(x, ...) .apply(x, "drop", .columns_of(...)))
.s3("subset", "SparkDataFrame", function(x, subset, select, ...) {
  if (!missing(subset)) x <- .call(x, "filter", subset)
  if (missing(select)) x else .selected(x, select)
})

# Order, groups.
.sorted <- function(x, ...) .apply(x, "orderBy", .columns_of(...))
.frame_method(c("arrange", "orderBy"), function(x, ..., decreasing = FALSE) {
  columns <- .columns_of(...)
  down <- rep_len(decreasing, length(columns))
  columns[down] <- lapply(columns[down], function(one) .call(.frame_or_name(one), "desc"))
  .apply(x, "orderBy", columns)
})
.method("orderBy", "WindowSpec", function(name) function(x, ...) .call(x, "orderBy", ...))
.frame_method(c("groupBy", "group_by"), function(x, ...) .apply(x, "groupBy", .columns_of(...)))
.frame_method("rollup", function(x, ...) .apply(x, "rollup", .columns_of(...)))
.frame_method("cube", function(x, ...) .apply(x, "cube", .columns_of(...)))
# agg(df, mean = avg(df$x)), or agg(df, x = "avg")
.aggregated <- function(x, ...) {
  asked <- list(...)
  named <- names(asked)
  if (is.null(named)) named <- rep("", length(asked))
  columns <- mapply(function(one, name) {
    if (is.character(one)) return(.call(.sql_function(one, column(name)), "alias", sprintf("%s(%s)", one, name)))
    if (nzchar(name)) .call(one, "alias", name) else one
  }, asked, named, SIMPLIFY = FALSE)
  .apply(x, "agg", unname(columns))
}
for (.class in c("SparkDataFrame", "GroupedData")) {
  .method(c("agg", "summarize"), .class, function(name) .aggregated)
}
.method("count", "GroupedData", function(name) function(x, ...) .call(x, "count"))
.method("avg", "GroupedData", function(name) function(x, ...) .call(x, "avg", ...))
.s3("mean", "GroupedData", function(x, ...) .call(x, "mean", ...))
setMethod("Summary", "GroupedData", function(x, ..., na.rm = FALSE) .call(x, .Generic, ...))
.method("pivot", "GroupedData", function(name) function(x, colname, values = list(), ...) {
  if (length(values)) .call(x, "pivot", colname, as.list(values)) else .call(x, "pivot", colname)
})

# Sets and samples.
.frame_method("limit", function(x, num, ...) .call(x, "limit", as.integer(num)))
.frame_method("distinct", function(x, ...) .call(x, "distinct"))
.s3("unique", "SparkDataFrame", function(x, ...) .call(x, "distinct"))
.frame_method("dropDuplicates", function(x, ...) {
  columns <- .columns_of(...)
  if (length(columns)) .call(x, "dropDuplicates", columns) else .call(x, "dropDuplicates")
})
.frame_method(c("union", "unionAll"), function(x, y, ...) .call(x, "union", y))
.frame_method("unionByName", function(x, y, allowMissingColumns = FALSE, ...) {
  .call(x, "unionByName", y, allowMissingColumns)
})
setMethod("rbind2", signature("SparkDataFrame", "SparkDataFrame"), function(x, y, ...) .call(x, "union", y))
.s3("rbind", "SparkDataFrame", function(...) Reduce(function(x, y) .call(x, "union", y), list(...)))
.frame_method("intersect", function(x, y, ...) .call(x, "intersect", y))
.frame_method("intersectAll", function(x, y, ...) .call(x, "intersectAll", y))
.frame_method("except", function(x, y, ...) .call(x, "subtract", y))
.frame_method("exceptAll", function(x, y, ...) .call(x, "exceptAll", y))
.sampled <- function(x, withReplacement = FALSE, fraction, seed = NULL, ...) {
  named <- list(withReplacement = withReplacement, fraction = fraction)
  if (!is.null(seed)) named$seed <- as.integer(seed)
  .apply(x, "sample", list(), named)
}
.frame_method(c("sample", "sample_frac"), .sampled)
.frame_method("randomSplit", function(x, weights, seed = NULL, ...) {
  .call(x, "randomSplit", as.list(weights), if (!is.null(seed)) as.integer(seed))
})
.frame_method("join", function(x, y, joinExpr = NULL, joinType = "inner", ...) {
  if (is.null(joinExpr)) return(.call(x, "crossJoin", y))
  .call(x, "join", y, if (is.character(joinExpr)) as.list(joinExpr) else joinExpr, joinType)
})
.frame_method("crossJoin", function(x, y, ...) .call(x, "crossJoin", y))
.s3("merge", "SparkDataFrame", function(x, y, by = intersect(names(x), names(y)), all = FALSE, ...) {
  .call(x, "join", y, as.list(by), if (all) "outer" else "inner")
})

# Values that lack; numbers about it.
.without_missing <- function(x, how = "any", minNonNulls = NULL, cols = NULL) {
  .apply(x, "dropna", list(), list(how = how, thresh = minNonNulls, subset = if (!is.null(cols)) as.list(cols)))
}
.frame_method("dropna", function(x, ...) .without_missing(x, ...))
.s3("na.omit", "SparkDataFrame", function(object, ...) .without_missing(object, ...))
.frame_method("fillna", function(x, value, cols = NULL, ...) {
  .call(x, "fillna", if (is.list(value)) value else .whole(value), if (!is.null(cols)) as.list(cols))
})
.frame_method("describe", function(x, ...) .apply(x, "describe", list(...)))
.s3("summary", "SparkDataFrame", function(object, ...) .apply(object, "summary", list(...)))
.frame_method("crosstab", function(x, col1, col2, ...) .collected(.call(x, "crosstab", col1, col2)))
.frame_method("freqItems", function(x, cols, support = 0.01, ...) {
  .collected(.call(x, "freqItems", as.list(cols), support))
})
.frame_method("approxQuantile", function(x, cols, probabilities, relativeError = 0, ...) {
  .call(x, "approxQuantile", if (length(cols) == 1L) cols else as.list(cols), as.list(probabilities), relativeError)
})
.frame_method("corr", function(x, colName1, colName2, ...) .call(x, "corr", colName1, colName2))
.frame_method("cov", function(x, colName1, colName2, ...) .call(x, "cov", colName1, colName2))

# Where it lies.
.frame_method(c("cache", "persist"), function(x, ...) .call(x, "cache"))
.frame_method("unpersist", function(x, ...) .call(x, "unpersist"))
.frame_method("repartition", function(x, numPartitions = NULL, ...) {
  count <- if (is.numeric(numPartitions)) list(as.integer(numPartitions)) else list(numPartitions)
  .apply(x, "repartition", c(Filter(Negate(is.null), count), .columns_of(...)))
})
.frame_method("coalesce", function(x, numPartitions, ...) .call(x, "coalesce", as.integer(numPartitions)))
.method("coalesce", "Column", function(name) function(x, ...) .sql_function("coalesce", x, ...))
.frame_method(c("createOrReplaceTempView", "registerTempTable"), function(x, viewName, ...) {
  invisible(.call(x, "createOrReplaceTempView", viewName))
})
.frame_method("createTempView", function(x, viewName, ...) invisible(.call(x, "createTempView", viewName)))

# Files and tables.
.written <- function(x, mode, options) {
  writer <- .call(.get(x, "write"), "mode", if (mode == "error") "errorifexists" else mode)
  for (name in names(options)) writer <- .call(writer, "option", name, options[[name]])
  writer
}
.frame_method(c("write.df", "saveDF"), function(x, path = NULL, source = "parquet", mode = "error", partitionBy = NULL, ...) {
  writer <- .call(.written(x, mode, list(...)), "format", source)
  if (!is.null(partitionBy)) writer <- .apply(writer, "partitionBy", as.list(partitionBy))
  invisible(if (is.null(path)) .call(writer, "save") else .call(writer, "save", path))
})
.method(c("write.parquet", "write.json", "write.orc", "write.text"), "SparkDataFrame", function(name) {
  format <- sub("write.", "", name, fixed = TRUE)
  function(x, path, mode = "error", ...) invisible(.call(.written(x, mode, list(...)), format, path))
})
.frame_method("saveAsTable", function(x, tableName, source = NULL, mode = "error", ...) {
  writer <- .written(x, mode, list(...))
  if (!is.null(source)) writer <- .call(writer, "format", source)
  invisible(.call(writer, "saveAsTable", tableName))
})
.frame_method("insertInto", function(x, tableName, overwrite = FALSE, ...) {
  invisible(.apply(.get(x, "write"), "insertInto", list(tableName), list(overwrite = overwrite)))
})

.unavailable <- function(name) {
  force(name)
  function(...) {
    stop(sprintf("%s runs R on the executors, which have none: collect() the rows, or use Spark's functions.", name), call. = FALSE)
  }
}
for (.name in c("dapply", "dapplyCollect", "gapply", "gapplyCollect", "spark.lapply")) assign(.name, .unavailable(.name))
