# Questions to the process that holds the session (`bridge.py`): a line of JSON, and a line back.
.bridge <- new.env()
.bridge$free <- integer()

.open_bridge <- function() {
  folder <- Sys.getenv("EMR_STUDIO_R_BRIDGE")
  .bridge$folder <- folder
  .bridge$to <- fifo(file.path(folder, "asked"), open = "w", blocking = TRUE)
  .bridge$from <- fifo(file.path(folder, "answered"), open = "r", blocking = TRUE, encoding = "UTF-8")
}

# Objects of PySpark, by their numbers there. Those that R needs no more are named with the next question.
setClass("SparkObject", slots = c(at = "environment", kind = "character"))
setClass("SparkDataFrame", contains = "SparkObject")
setClass("Column", contains = "SparkObject")
setClass("GroupedData", contains = "SparkObject")
setClass("WindowSpec", contains = "SparkObject")
setClass("SparkSession", slots = c(root = "character"))

.remote <- function(told) {
  at <- new.env()
  at$number <- told$ref
  reg.finalizer(at, function(gone) .bridge$free <- c(.bridge$free, gone$number))
  known <- c(DataFrame = "SparkDataFrame", Column = "Column", GroupedData = "GroupedData", WindowSpec = "WindowSpec")
  class <- if (told$class %in% names(known)) known[[told$class]] else "SparkObject"
  new(class, at = at, kind = told$class)
}

.number <- function(x) x@at$number

# Nothing comes between a question and its answer: an interrupt is taken afterwards.
.ask <- function(question) {
  if (is.null(.bridge$to)) .open_bridge()
  question$free <- as.list(.bridge$free)
  .bridge$free <- integer()
  line <- toJSON(question, auto_unbox = TRUE, null = "null", digits = NA)
  suspendInterrupts({
    writeLines(enc2utf8(as.character(line)), .bridge$to, useBytes = TRUE)
    answer <- readLines(.bridge$from, n = 1L, encoding = "UTF-8")
  })
  if (length(answer) != 1L) stop("Spark's side of this kernel has ended: restart the kernel.", call. = FALSE)
  answer <- fromJSON(answer, simplifyVector = FALSE)
  if (!is.null(answer[["error"]])) {
    stop(structure(
      class = c(answer[["class"]], "SparkError", "error", "condition"),
      list(message = answer[["error"]], call = NULL)
    ))
  }
  .decoded(answer[["value"]])
}

.encoded <- function(x) {
  if (is.null(x)) return(NULL)
  if (is(x, "SparkObject")) return(list(ref = .number(x)))
  if (is.factor(x)) x <- as.character(x)
  if (is.list(x) || length(x) != 1L) {
    items <- lapply(as.list(x), .encoded)
    return(if (is.null(names(x))) items else list(map = items))
  }
  if (is.na(x) && !is.nan(x)) return(NULL)
  if (inherits(x, "Date")) return(list(date = unclass(x)[[1]]))
  if (inherits(x, "POSIXt")) return(list(time = as.numeric(as.POSIXct(x))))
  if (is.double(x)) return(list(double = sprintf("%a", x)))
  unname(x)
}

.decoded <- function(x) {
  if (!is.list(x)) return(x)
  if (!is.null(names(x)) && !is.null(x[["ref"]])) return(.remote(x))
  plain <- length(x) > 0 && all(vapply(x, function(one) is.atomic(one) && length(one) == 1L, TRUE))
  if (plain) unlist(x) else lapply(x, .decoded)
}

.on <- function(on) if (is.character(on)) on else .number(on)

.arguments <- function(arguments) unname(lapply(arguments, .encoded))

# A method of an object of PySpark, or of one of the roots "spark", "functions", "Window".
.call <- function(on, do, ..., named = list()) .apply(on, do, list(...), named)

.apply <- function(on, do, arguments, named = list()) {
  .ask(list(on = .on(on), do = do, args = .arguments(arguments), named = lapply(named, .encoded)))
}

.get <- function(on, what) .ask(list(op = "get", on = .on(on), do = what))

.printed <- function(on, do, ...) cat(.ask(list(op = "print", on = .on(on), do = do, args = .arguments(list(...)))))

# Rows: files of columns (`frames.py`).
.collected <- function(frame) {
  path <- tempfile("rows-", .bridge$folder)
  on.exit(unlink(path))
  told <- .ask(list(op = "collect", on = .number(frame), path = path))
  .read_columns(told, path)
}

.read_columns <- function(told, path) {
  file <- base::file(path, "rb")
  on.exit(close(file))
  columns <- lapply(told$columns, function(one) .read_column(file, one[["type"]], told$rows))
  names(columns) <- vapply(told$columns, function(one) one[["name"]], "")
  attr(columns, "row.names") <- .set_row_names(told$rows)
  class(columns) <- "data.frame"
  columns
}

.read_column <- function(file, type, rows) {
  number <- function() readBin(file, "double", rows, endian = "little")
  switch(type,
    logical = as.logical(readBin(file, "integer", rows, size = 4L, endian = "little")),
    integer = readBin(file, "integer", rows, size = 4L, endian = "little"),
    double = number(),
    date = structure(number(), class = "Date"),
    timestamp = structure(number(), class = c("POSIXct", "POSIXt")),
    string = .read_strings(file, rows),
    json = lapply(.read_strings(file, rows), function(text) if (is.na(text)) NULL else fromJSON(text)),
    binary = .read_binary(file, rows)
  )
}

.read_strings <- function(file, rows) {
  sizes <- readBin(file, "integer", rows, size = 4L, endian = "little")
  texts <- readChar(file, pmax(sizes, 0L), useBytes = TRUE)
  Encoding(texts) <- "UTF-8"
  texts[sizes < 0L] <- NA_character_
  texts
}

.read_binary <- function(file, rows) {
  sizes <- readBin(file, "integer", rows, size = 4L, endian = "little")
  lapply(sizes, function(size) if (size < 0L) NULL else readBin(file, "raw", size))
}

.type_of <- function(name, column) {
  if (inherits(column, "Date")) return("date")
  if (inherits(column, "POSIXct")) return("timestamp")
  if (is.character(column) || is.factor(column)) return("string")
  if (is.logical(column)) return("logical")
  if (is.integer(column)) return("integer")
  if (is.double(column)) return("double")
  stop(sprintf("Column %s of class %s cannot become a column of Spark.", name, class(column)[[1]]), call. = FALSE)
}

.created <- function(data, schema = NULL) {
  # POSIXlt and such are columns of their own kind until now.
  data[] <- lapply(data, function(column) if (inherits(column, "POSIXlt")) as.POSIXct(column) else column)
  types <- mapply(.type_of, names(data), data)
  path <- tempfile("rows-", .bridge_folder())
  file <- base::file(path, "wb")
  for (i in seq_along(data)) .write_column(file, types[[i]], data[[i]])
  close(file)
  columns <- lapply(seq_along(data), function(i) list(name = names(data)[[i]], type = types[[i]]))
  .ask(list(op = "create", path = path, schema = schema, told = list(rows = nrow(data), columns = columns)))
}

.bridge_folder <- function() {
  if (is.null(.bridge$to)) .open_bridge()
  .bridge$folder
}

.write_column <- function(file, type, column) {
  if (type %in% c("logical", "integer")) {
    writeBin(as.integer(column), file, size = 4L, endian = "little")
  } else if (type != "string") {
    writeBin(as.double(unclass(column)), file, endian = "little")
  } else {
    texts <- enc2utf8(as.character(column))
    sizes <- nchar(texts, type = "bytes")
    sizes[is.na(texts)] <- -1L
    writeBin(as.integer(sizes), file, size = 4L, endian = "little")
    writeBin(charToRaw(paste(texts[!is.na(texts)], collapse = "")), file)
  }
}
