package emr.studio

import java.net.InetSocketAddress
import java.nio.charset.StandardCharsets.UTF_8
import java.security.MessageDigest

import org.apache.spark.sql.SparkSession
import org.sparkproject.connect.grpc._
import org.sparkproject.connect.grpc.netty.NettyServerBuilder

/** Spark 3.5's Connect server at one address, for those who bring the cluster's token.
  *
  * Its own main class listens on all addresses and asks for nothing; Spark 4's has settings for both, and
  * these are their names.
  */
object ConnectServer {
  private val LargestMessage = 128 * 1024 * 1024

  def main(arguments: Array[String]): Unit = {
    val conf = SparkSession.builder().getOrCreate().sparkContext.getConf
    val address = new InetSocketAddress(
      conf.get("spark.connect.grpc.binding.address"), conf.getInt("spark.connect.grpc.binding.port", 15002))
    val server = NettyServerBuilder
      .forAddress(address)
      .maxInboundMessageSize(LargestMessage)
      .addService(service)
      .intercept(new Token(conf.get("spark.connect.authenticate.token")))
      .build()
    server.start().awaitTermination()
  }

  // By name: the jar's own types were renamed after it was compiled, which the compiler cannot know.
  private def service: BindableService =
    Class.forName("org.apache.spark.sql.connect.service.SparkConnectService")
      .getConstructor(classOf[Boolean])
      .newInstance(java.lang.Boolean.FALSE)
      .asInstanceOf[BindableService]

  private class Token(token: String) extends ServerInterceptor {
    private val key = Metadata.Key.of("Authorization", Metadata.ASCII_STRING_MARSHALLER)
    private val expected = s"Bearer $token".getBytes(UTF_8)

    override def interceptCall[Q, A](
        call: ServerCall[Q, A], headers: Metadata, next: ServerCallHandler[Q, A]): ServerCall.Listener[Q] = {
      val given = Option(headers.get(key)).getOrElse("").getBytes(UTF_8)
      if (MessageDigest.isEqual(given, expected)) next.startCall(call, headers)
      else {
        call.close(Status.UNAUTHENTICATED.withDescription("Invalid authentication token"), new Metadata())
        new ServerCall.Listener[Q] {}
      }
    }
  }
}
