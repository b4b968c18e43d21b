package emr.studio

import java.io.PrintWriter

import scala.tools.nsc.Settings
import scala.tools.nsc.interpreter.{IMain, PresentationCompilerCompleter}

/** The interpreter as Scala 2.12 has it. */
private class Repl(settings: Settings, out: PrintWriter) {
  val interpreter = new IMain(settings, out)
  interpreter.initializeSynchronous()

  private val completion = new PresentationCompilerCompleter(interpreter)

  def complete(code: String, cursor: Int): List[String] = {
    val found = completion.complete(code, cursor)
    found.cursor.toString :: found.candidates.distinct
  }
}
