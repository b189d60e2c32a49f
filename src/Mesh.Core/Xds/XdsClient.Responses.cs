using Mesh.Xds.Decoding;

namespace Mesh.Xds;

/// <content>What becomes of a response, and of silence. All of it runs on the loop.</content>
internal sealed partial class XdsClient
{
    /// <summary>How long silence must last to mean "does not exist" (gRFC A57).</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(15);

    /// <summary>State of the world has no word for "does not exist" but absence, and a response without a name just asked for may have
    /// left before the question came: so much longer a second response may take.</summary>
    private static readonly TimeSpan Absence = TimeSpan.FromSeconds(1);

    private const int NotFound = 5;
    private const int PermissionDenied = 7;

    private void Respond(IAdsStream stream, AdsResponse response)
    {
        _unreachable = null;
        _metrics?.Answered();
        if (!_types.TryGetValue(response.TypeUrl, out var type) || !type.NamedOnStream)
        {
            // Answering a type that was never asked for would subscribe to all of it.
            Log.UnknownType(_logger, response.TypeUrl, _node.Id);
            return;
        }

        var problems = new List<string>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < response.Resources.Count; i++)
        {
            Take(type, response.Resources[i], i, seen, problems);
        }

        foreach (var name in response.Removed)
        {
            DoesNotExist(type, name, "the control plane says that it does not exist");
        }

        foreach (var error in response.Errors)
        {
            TakeError(type, error);
        }

        if (response.IsWhole && type.Url is XdsTypes.Listener or XdsTypes.Cluster)
        {
            TakeAbsences(type, seen);
        }

        type.Nonce = response.Nonce;
        if (problems.Count == 0)
        {
            type.Version = response.Version;
            _metrics?.Updated(type.Url, ack: true);
            Log.Accepted(_logger, type.Url, response.Version, response.Resources.Count);
            stream.Send(type.Answer(null));
            return;
        }

        _metrics?.Updated(type.Url, ack: false);
        var all = string.Join("; ", problems);
        Log.Refused(_logger, type.Url, response.Version, _node.Id, all);
        stream.Send(type.Answer($"{all} (node '{_node.Id}', version '{response.Version}')"));
    }

    private void Take(XdsTypeState type, AdsResource given, int index, HashSet<string> seen, List<string> problems)
    {
        var decoded = given.Problem is null ? ResourceDecoder.Decode(type.Url, given.Value) : null;
        var name = given.Name ?? decoded?.Name;
        var problem = given.Problem ?? (decoded!.IsValid ? null : string.Join(", ", decoded.Errors));
        _metrics?.Took(type.Url, problem is null && !string.IsNullOrEmpty(name));
        if (string.IsNullOrEmpty(name))
        {
            problems.Add($"resources[{index}]: {problem ?? "has no name"}");
            return;
        }

        if (!seen.Add(name))
        {
            problems.Add($"resources[{index}] '{name}': is in the response twice");
            return;
        }

        if (!type.Resources.TryGetValue(name, out var resource))
        {
            return; // not asked for: none of our business, good or bad
        }

        resource.StopTimer();
        if (problem is not null)
        {
            problems.Add($"resources[{index}] '{name}': {problem}");
            (resource.Status, resource.Error, resource.ErrorVersion) = (XdsResourceStatus.Nacked, problem, given.Version);
            _changed |= resource.Model is null;
            return;
        }

        (resource.Status, resource.Error, resource.ErrorVersion, resource.Version) = (XdsResourceStatus.Acked, string.Empty, string.Empty, given.Version);
        resource.LastUpdated = _time.GetUtcNow();
        if (resource.Model is null || resource.Bytes != given.Value)
        {
            (resource.Model, resource.Bytes) = (decoded!.Model, given.Value);
            _changed = true;
        }
    }

    private void TakeError(XdsTypeState type, AdsResourceError error)
    {
        if (!type.Resources.TryGetValue(error.Name, out var resource))
        {
            return;
        }

        resource.StopTimer();
        var reason = $"the control plane answers {error.Code}: {error.Message}";
        Log.ResourceError(_logger, type.Url, error.Name, reason);
        if (resource.Model is null && error.Code is NotFound)
        {
            DoesNotExist(type, error.Name, reason);
            return;
        }

        // What is held stays in use (gRFC A88); without anything held a data error is final, others may pass.
        (resource.Status, resource.Error) = (XdsResourceStatus.ReceivedError, error.Code is PermissionDenied ? reason : $"{reason}; it may come later");
        _changed |= resource.Model is null;
    }

    private void TakeAbsences(XdsTypeState type, HashSet<string> seen)
    {
        foreach (var resource in type.Resources.Values)
        {
            if (seen.Contains(resource.Name))
            {
                continue;
            }

            if (resource.Model is not null || resource.Status is XdsResourceStatus.Nacked)
            {
                DoesNotExist(type, resource.Name, "the control plane sends it no more");
            }
            else if (resource.Timer is not null)
            {
                Wait(type, resource, Absence);
            }
        }
    }

    private void DoesNotExist(XdsTypeState type, string name, string reason)
    {
        if (!type.Resources.TryGetValue(name, out var resource))
        {
            return;
        }

        resource.StopTimer();
        if (resource.Status == XdsResourceStatus.DoesNotExist)
        {
            return;
        }

        resource.Status = XdsResourceStatus.DoesNotExist;
        resource.Error = $"'{name}' does not exist: {reason} (node '{_node.Id}')";
        (resource.Model, resource.Bytes, resource.Version) = (null, Google.Protobuf.ByteString.Empty, string.Empty);
        resource.LastUpdated = _time.GetUtcNow();
        _changed = true;
        Log.DoesNotExist(_logger, type.Url, name, reason);
    }

    /// <summary>A message is on its way over a connected stream: from now on silence counts.</summary>
    private void Sent(IAdsStream? stream, AdsRequest request)
    {
        if (_stream != stream)
        {
            return;
        }

        var type = _types[request.TypeUrl];
        foreach (var name in request.Added)
        {
            if (type.Resources.TryGetValue(name, out var resource) && resource is { Status: XdsResourceStatus.Requested, Timer: null })
            {
                Wait(type, resource, Silence);
            }
        }
    }

    private void Wait(XdsTypeState type, XdsResource resource, TimeSpan time)
    {
        resource.StopTimer();
        ITimer? timer = null;
        timer = _time.CreateTimer(
            _ => Post(() =>
            {
                // Posted work may be older than an answer, or than the resource itself.
                if (resource.Timer == timer)
                {
                    DoesNotExist(type, resource.Name, $"no answer for {time.TotalSeconds:0} s");
                }
            }),
            null,
            time,
            Timeout.InfiniteTimeSpan);
        resource.Timer = timer;
    }
}
