package emr.studio

import java.io.{ByteArrayOutputStream, PrintWriter}
import java.nio.charset.StandardCharsets.UTF_8
import java.util.{List => JavaList}

import scala.collection.JavaConverters._
import scala.tools.nsc.Settings

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
  // Guarded by `turn`: an interrupt must not reach the thread after its cell has ended, where it would end the next.
  private var worker: Thread = _
  private val turn = new Object

  Seq(
    "@transient val spark = org.apache.spark.sql.SparkSession.active",
    "@transient val sc = spark.sparkContext",
    "import spark.implicits._",
    "import spark.sql",
    "import org.apache.spark.sql.functions._"
  ).foreach(run)
  take()

  /** Run a cell to its end: `Success`, `Error` or `Incomplete`. */
  def run(code: String): String = {
    val thread = Thread.currentThread
    val before = thread.getContextClassLoader
    thread.setContextClassLoader(repl.interpreter.classLoader)
    turn.synchronized { worker = thread }
    try Console.withOut(printed)(repl.interpreter.interpret(code)).toString
    finally {
      turn.synchronized {
        worker = null
        Thread.interrupted()
      }
      thread.setContextClassLoader(before)
    }
  }

  /** What was printed since the last call. */
  def take(): String = printed.synchronized {
    val text = new String(printed.toByteArray, UTF_8)
    printed.reset()
    text
  }

  /** Interrupt what runs. */
  def interrupt(): Unit = turn.synchronized { Option(worker).foreach(_.interrupt()) }

  /** What could stand at the cursor: the position where it begins, then the candidates. */
  def complete(code: String, cursor: Int): JavaList[String] = repl.complete(code, cursor).asJava

  /** The type of an expression; empty if it has none. */
  def typeOf(expression: String): String =
    try Option(repl.interpreter.typeOfExpression(expression, silent = true).toString).filter(_ != "<notype>").getOrElse("")
    catch { case _: Exception => "" }
}
