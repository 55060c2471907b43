import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;

/** A MongoDB in memory: prints its port, lives until its standard input ends. */
public class MongoDB {
  public static void main(String[] arguments) throws Exception {
    MongoServer server = new MongoServer(new MemoryBackend());
    int port = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 0;
    server.bind("127.0.0.1", port);
    System.out.println(server.getLocalAddress().getPort());
    System.out.flush();
    while (System.in.read() != -1) {}
    server.shutdownNow();
    System.exit(0);
  }
}
