# Columns and the functions of Spark SQL, by SparkR's names.

# A name that R has already goes on meaning what it means there, unless its first argument is an object of Spark.
.generic <- function(name) {
  known <- get0(name, envir = globalenv(), mode = "function")
  otherwise <- known
  if (is.null(known)) {
    otherwise <- function(x, ...) stop(sprintf("%s needs an object of Spark.", name), call. = FALSE)
  }
  shape <- eval(bquote(function(x, ...) standardGeneric(.(name)), list(name = name)))
  default <- function(x, ...) otherwise(x, ...)
  suppressMessages(setGeneric(name, shape, useAsDefault = default, where = topenv()))
}

.method <- function(names, class, body) {
  for (name in names) {
    if (!is.primitive(get0(name)) && !isGeneric(name, topenv())) .generic(name)
    setMethod(name, class, body(name), where = topenv())
  }
}

lit <- function(x) if (is(x, "Column")) x else .call("functions", "lit", x)
column <- function(x) .call("functions", "col", x)
expr <- function(x) .call("functions", "expr", x)

.is_column <- function(x) is(x, "Column")

# A function of Spark SQL; what is no column is a literal.
.sql_function <- function(name, ...) {
  .apply("functions", "call_function", c(list(name), lapply(list(...), .parameter)))
}

# R writes 1 where Spark's functions take whole numbers alone.
.whole <- function(x) if (is.double(x) && length(x) == 1L && isTRUE(x == suppressWarnings(as.integer(x)))) as.integer(x) else x

.parameter <- function(x) if (is(x, "Column")) x else lit(if (is.object(x)) x else .whole(x))

.operator <- function(symbol, e1, e2) {
  names <- c(
    "+" = "__add__", "-" = "__sub__", "*" = "__mul__", "/" = "__truediv__", "%%" = "__mod__", "^" = "__pow__",
    "==" = "__eq__", "!=" = "__ne__", "<" = "__lt__", ">" = "__gt__", "<=" = "__le__", ">=" = "__ge__",
    "&" = "__and__", "|" = "__or__"
  )
  if (!symbol %in% names(names)) stop(sprintf("%s is not an operator of Spark's columns.", symbol), call. = FALSE)
  .call(lit(e1), names[[symbol]], lit(e2))
}

for (.signature in list(c("Column", "ANY"), c("ANY", "Column"), c("Column", "Column"))) {
  for (.group in c("Arith", "Compare", "Logic")) {
    setMethod(.group, setNames(.signature, c("e1", "e2")), function(e1, e2) {
      if (missing(e2)) return(.call(e1, "__neg__"))
      .operator(.Generic, e1, e2)
    })
  }
}
setMethod("!", "Column", function(x) .call(x, "__invert__"))
setMethod("Math", "Column", function(x) {
  renamed <- c(ceiling = "ceil", gamma = "tgamma")
  .sql_function(if (.Generic %in% names(renamed)) renamed[[.Generic]] else .Generic, x)
})
setMethod("Math2", "Column", function(x, digits) {
  .sql_function(.Generic, x, as.integer(if (missing(digits)) 0L else digits))
})
setMethod("Summary", "Column", function(x, ..., na.rm = FALSE) .sql_function(.Generic, x))
setMethod("show", "Column", function(object) cat(.call(object, "__repr__"), "\n"))
setMethod("$", "Column", function(x, name) .call(x, "getField", name))

.s3 <- function(generic, class, method) registerS3method(generic, class, method, envir = topenv())
.s3("mean", "Column", function(x, ...) .sql_function("avg", x))

# Methods of a column.
.method(
  c("isNull", "isNotNull", "isNaN", "asc", "desc", "asc_nulls_first", "asc_nulls_last", "desc_nulls_first", "desc_nulls_last"),
  "Column", function(name) { force(name); function(x, ...) .call(x, name) }
)
.method(
  c("like", "rlike", "ilike", "contains", "startsWith", "endsWith", "getField", "eqNullSafe", "over"),
  "Column", function(name) { force(name); function(x, ...) .call(x, name, ...) }
)
.method(c("alias", "cast"), "Column", function(name) { force(name); function(x, ...) .call(x, name, ...) })
.method("getItem", "Column", function(name) function(x, ...) .call(x, "getItem", .whole(...)))
.method("between", "Column", function(name) function(x, ...) {
  bounds <- list(...)
  if (length(bounds) == 1L) bounds <- as.list(bounds[[1]])
  .apply(x, "between", bounds)
})
.method("substr", "Column", function(name) function(x, start, stop, ...) {
  .call(x, "substr", as.integer(start), as.integer(stop - start + 1))
})
.method("otherwise", "Column", function(name) function(x, ...) .call(x, "otherwise", ...))
suppressMessages(setGeneric("%in%"))
setMethod("%in%", "Column", function(x, table) .call(x, "isin", as.list(table)))

when <- function(condition, value) .call("functions", "when", condition, value)
.method("ifelse", "Column", function(name) function(x, yes, no, ...) .call(when(x, yes), "otherwise", no))

# Functions whose name is the same in SQL; their first argument is a column.
.method(
  c(
    "add_months", "array_contains", "array_distinct", "array_join", "array_max", "array_min", "array_position",
    "array_sort", "ascii", "atan2", "avg", "base64", "bin", "bitwise_not", "bround", "cbrt", "ceil",
    "collect_list", "collect_set", "conv", "corr", "covar_pop", "covar_samp", "crc32", "date_add",
    "date_format", "date_sub", "datediff", "dayofmonth", "dayofweek", "dayofyear", "decode", "degrees",
    "element_at", "encode", "explode", "explode_outer", "factorial", "flatten", "format_number",
    "from_json", "from_unixtime", "from_utc_timestamp", "get_json_object", "greatest", "hash", "hex", "hour", "hypot",
    "initcap", "instr", "kurtosis", "last_day", "least", "levenshtein", "lower", "lpad", "ltrim", "map_keys",
    "map_values", "md5", "minute", "month", "months_between", "nanvl", "negate", "next_day", "percentile_approx",
    "posexplode", "pow", "quarter", "radians", "regexp_extract", "regexp_replace", "repeat_string", "reverse", "rint",
    "rpad", "rtrim", "second", "sha1", "sha2", "shiftleft", "shiftright", "signum", "size", "skewness", "slice",
    "sort_array", "soundex", "split_string", "stddev", "stddev_pop", "stddev_samp", "substring_index", "sumDistinct",
    "to_date", "to_json", "to_timestamp", "to_utc_timestamp", "translate", "trim", "unbase64", "unhex",
    "unix_timestamp", "upper", "var_pop", "var_samp", "variance", "weekofyear", "xxhash64", "year",
    "approx_count_distinct", "lag", "lead", "nth_value", "first_value", "last_value", "struct", "concat"
  ),
  "Column",
  function(name) {
    renamed <- c(repeat_string = "repeat", split_string = "split", negate = "negative", sumDistinct = "sum")
    sql <- if (name %in% names(renamed)) renamed[[name]] else name
    function(x, ...) .sql_function(sql, x, ...)
  }
)
.method(c("first", "last"), "Column", function(name) { force(name); function(x, ...) .sql_function(name, x, ...) })
.method(c("sd", "var"), "Column", function(name) {
  sql <- c(sd = "stddev_samp", var = "var_samp")[[name]]
  function(x, ...) .sql_function(sql, x)
})
.method("length", "Column", function(name) function(x) .sql_function("length", x))
.method(c("n", "count"), "Column", function(name) function(x, ...) .sql_function("count", x))
.method(c("n_distinct", "countDistinct"), "Column", function(name) function(x, ...) {
  .call("functions", "countDistinct", x, ...)
})
.method("approxCountDistinct", "Column", function(name) function(x, ...) .sql_function("approx_count_distinct", x))

# Functions whose first argument is no column, or none.
concat_ws <- function(sep, ...) .sql_function("concat_ws", sep, ...)
format_string <- function(format, ...) .sql_function("format_string", format, ...)
date_trunc <- function(format, x) .sql_function("date_trunc", format, x)
locate <- function(substr, str, pos = 1) .sql_function("locate", substr, str, pos)
ntile <- function(x) .sql_function("ntile", x)
current_date <- function() .sql_function("current_date")
current_timestamp <- function() .sql_function("current_timestamp")
rand <- function(seed = NULL) .call("functions", "rand", if (!is.null(seed)) as.integer(seed))
randn <- function(seed = NULL) .call("functions", "randn", if (!is.null(seed)) as.integer(seed))
monotonically_increasing_id <- function() .sql_function("monotonically_increasing_id")
row_number <- function() .sql_function("row_number")
dense_rank <- function() .sql_function("dense_rank")
percent_rank <- function() .sql_function("percent_rank")
cume_dist <- function() .sql_function("cume_dist")
rank <- function(x, ...) if (missing(x)) .sql_function("rank") else base::rank(x, ...)
create_array <- function(...) .sql_function("array", ...)
create_map <- function(...) .sql_function("map", ...)
call_udf <- function(name, ...) .sql_function(name, ...)
coalesce_columns <- function(...) .sql_function("coalesce", ...)

# Windows.
windowPartitionBy <- function(...) .call("Window", "partitionBy", ...)
windowOrderBy <- function(...) .call("Window", "orderBy", ...)
.bound <- function(x) if (is.infinite(x)) (if (x < 0) -2147483647L else 2147483647L) else as.integer(x)
rowsBetween <- function(x, start, end) .call(x, "rowsBetween", .bound(start), .bound(end))
rangeBetween <- function(x, start, end) .call(x, "rangeBetween", .bound(start), .bound(end))
partitionBy <- function(x, ...) .call(x, "partitionBy", ...)
