using System.Threading.Channels;
using Grpc.Core;
using Mesh.Protos.Tap;
using Mesh.Spiffe;
using Mesh.Tap;

namespace Mesh.ControlPlane.Tap;

/// <summary>One data plane that attends. Orders wait in a short queue: who does not take them is sent away.</summary>
/// <param name="identity">Verified; what the data plane says of itself is only a label.</param>
internal sealed class TapSession(SpiffeId identity)
{
    private const int MostOrders = 64;
    private readonly Channel<TapOrder> _orders = Channel.CreateBounded<TapOrder>(new BoundedChannelOptions(MostOrders) { FullMode = BoundedChannelFullMode.Wait });

    public SpiffeId Identity => identity;

    public string Namespace { get; } = identity.Namespace ?? string.Empty;

    public string Account { get; } = identity.ServiceAccount ?? identity.ToString();

    /// <summary>As it calls itself in its metrics.</summary>
    public string Workload { get; private set; } = identity.ServiceAccount ?? identity.ToString();

    /// <summary>Of its process; as it says.</summary>
    public string NodeId { get; private set; } = string.Empty;

    /// <summary>Its operator wants no request of it shown.</summary>
    public bool RefusesTaps { get; private set; }

    public void Meet(Hello hello)
    {
        NodeId = TapText.Of(hello.NodeId);
        Workload = hello.Workload.Length > 0 ? TapText.Of(hello.Workload, 253) : Workload;
        RefusesTaps = hello.RefusesTaps;
    }

    /// <summary>False when it has not taken what it was told before: its stream is then broken off.</summary>
    public bool Tell(TapOrder order)
    {
        if (_orders.Writer.TryWrite(order))
        {
            return true;
        }

        _orders.Writer.TryComplete(new RpcException(new Status(StatusCode.ResourceExhausted, $"{MostOrders} orders were not taken.")));
        return false;
    }

    /// <summary>Sends orders until the stream ends.</summary>
    public async Task SendAsync(IServerStreamWriter<TapOrder> to, CancellationToken cancellationToken)
    {
        await foreach (var order in _orders.Reader.ReadAllAsync(cancellationToken))
        {
            await to.WriteAsync(order, cancellationToken);
        }
    }
}
