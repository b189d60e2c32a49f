using Grpc.Core;

namespace Mesh.Client.Tests;

/// <summary>A gRPC service of texts, bound by hand.</summary>
public sealed class EchoService : EchoBase
{
    public static readonly Method<string, string> UnaryMethod = Make(MethodType.Unary, nameof(Unary));
    public static readonly Method<string, string> ServerMethod = Make(MethodType.ServerStreaming, nameof(Server));
    public static readonly Method<string, string> BidiMethod = Make(MethodType.DuplexStreaming, nameof(Bidi));

    public override Task<string> Unary(string text, ServerCallContext context) =>
        text == "fail" ? throw new RpcException(new Status(StatusCode.Internal, "as asked")) : Task.FromResult(text);

    public override async Task Server(string text, IServerStreamWriter<string> responses, ServerCallContext context)
    {
        for (var i = 0; i < 3; i++)
        {
            await responses.WriteAsync(text + i);
        }
    }

    public override async Task Bidi(IAsyncStreamReader<string> requests, IServerStreamWriter<string> responses, ServerCallContext context)
    {
        await foreach (var text in requests.ReadAllAsync(context.CancellationToken))
        {
            await responses.WriteAsync(text);
        }
    }

    private static Method<string, string> Make(MethodType type, string name) => new(type, "test.Echo", name, Marshallers.StringMarshaller, Marshallers.StringMarshaller);
}

/// <summary>What generated code would be: gRPC looks for the methods below it.</summary>
[BindServiceMethod(typeof(EchoBase), nameof(Bind))]
public abstract class EchoBase
{
    public static void Bind(ServiceBinderBase binder, EchoBase? service)
    {
        binder.AddMethod(EchoService.UnaryMethod, (UnaryServerMethod<string, string>)null!);
        binder.AddMethod(EchoService.ServerMethod, (ServerStreamingServerMethod<string, string>)null!);
        binder.AddMethod(EchoService.BidiMethod, (DuplexStreamingServerMethod<string, string>)null!);
    }

    public abstract Task<string> Unary(string text, ServerCallContext context);

    public abstract Task Server(string text, IServerStreamWriter<string> responses, ServerCallContext context);

    public abstract Task Bidi(IAsyncStreamReader<string> requests, IServerStreamWriter<string> responses, ServerCallContext context);
}
