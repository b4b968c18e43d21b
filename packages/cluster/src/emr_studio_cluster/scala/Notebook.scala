package emr.studio

import java.io.{ByteArrayOutputStream, PrintWriter}
import java.nio.charset.StandardCharsets.UTF_8
import java.util.{List => JavaList}

import scala.collection.JavaConverters._
import scala.tools.nsc.Settings

/** The part of a cell that is the user's; the compiler puts `run` around it.
  *
  * Nothing else is interrupted: the compiler, which has its turn before that part and, when it fails, after it, would
  * lose the files that it reads from, and every later cell would fail.
  */
object Cell {
  // Guarded by this object.
  private var begins, interrupted = false
  private var worker: Thread = _

  private[studio] def begin(): Unit = synchronized {
    begins = true
    interrupted = false
  }

  private[studio] def end(): Unit = synchronized { begins = false }

  private[studio] def interrupt(): Unit = synchronized {
    if (begins) interrupted = true else Option(worker).foreach(_.interrupt())
  }

  /** Run what a cell does, in this thread. */
  def run[T](work: => T): T = if (!enter()) work else try work finally leave()

  private def enter(): Boolean = synchronized {
    val isFirst = begins
    begins = false
    if (isFirst && interrupted) throw new InterruptedException("The cell was interrupted before it ran.")
    if (isFirst) worker = Thread.currentThread
    isFirst
  }

  private def leave(): Unit = synchronized {
    worker = null
    Thread.interrupted()
  }
}

/** Runs a Scala notebook's cells in the driver; the kernel calls it over Py4J.
  *
  * What cells define is compiled to `classes`, which is the driver's `spark.repl.class.outputDir`: executors
  * fetch it from there. Wrappers are classes, as in Spark's own shell, so that closures can be sent.
  */
class Notebook(classes: String) {
  private val printed = new ByteArrayOutputStream
  private val settings = new Settings
  settings.processArguments(List("-Yrepl-class-based", "-Yrepl-outdir", classes), processAll = true)
  settings.usejavacp.value = true
  private val repl = new Repl(settings, new PrintWriter(printed, true))
  repl.interpreter.setExecutionWrapper("_root_.emr.studio.Cell.run")

  Seq(
    "@transient val spark = org.apache.spark.sql.SparkSession.active",
    "@transient val sc = spark.sparkContext",
    "import spark.implicits._",
    "import spark.sql",
    "import org.apache.spark.sql.functions._"
  ).foreach(run)
  take()

  /** Run a cell to its end: `Success`, `Error` or `Incomplete`. The next one waits for it: one compiler, one cell. */
  def run(code: String): String = repl.synchronized {
    val thread = Thread.currentThread
    val before = thread.getContextClassLoader
    thread.setContextClassLoader(repl.interpreter.classLoader)
    Cell.begin()
    try Console.withOut(printed)(repl.interpreter.interpret(code)).toString
    finally {
      Cell.end()
      thread.setContextClassLoader(before)
    }
  }

  /** What was printed since the last call. */
  def take(): String = printed.synchronized {
    val text = new String(printed.toByteArray, UTF_8)
    printed.reset()
    text
  }

  /** Interrupt what runs, or what is about to. */
  def interrupt(): Unit = Cell.interrupt()

  /** What could stand at the cursor: the position where it begins, then the candidates. */
  def complete(code: String, cursor: Int): JavaList[String] = repl.complete(code, cursor).asJava

  /** The type of an expression; empty if it has none. */
  def typeOf(expression: String): String = repl.synchronized {
    try Option(repl.interpreter.typeOfExpression(expression, silent = true).toString).filter(_ != "<notype>").getOrElse("")
    catch { case _: Exception => "" }
  }
}
