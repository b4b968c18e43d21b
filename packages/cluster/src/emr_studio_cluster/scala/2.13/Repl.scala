package emr.studio

import java.io.PrintWriter

import scala.tools.nsc.Settings
import scala.tools.nsc.interpreter.IMain
import scala.tools.nsc.interpreter.shell.{Accumulator, ReplCompletion, ReplReporterImpl, ShellConfig}

/** The interpreter as Scala 2.13 has it. */
private class Repl(settings: Settings, out: PrintWriter) {
  val interpreter = new IMain(settings, new ReplReporterImpl(ShellConfig(settings), settings, out))
  interpreter.initializeCompiler()

  private val completion = new ReplCompletion(interpreter, new Accumulator)

  def complete(code: String, cursor: Int): List[String] = {
    val found = completion.complete(code, cursor)
    found.cursor.toString :: found.candidates.map(_.name).distinct
  }
}
