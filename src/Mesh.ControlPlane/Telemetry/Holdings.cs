namespace Mesh.ControlPlane.Telemetry;

/// <summary>Who holds how many places of something that can be full: who comes late takes one of who holds most, so that nobody keeps the others out. Not thread-safe.</summary>
/// <remarks>It ends when both hold alike, and never goes back and forth. Owners are bounded by the identities that the authority issued.</remarks>
internal sealed class Holdings<TOwner>
    where TOwner : notnull
{
    private readonly Dictionary<TOwner, int> _held = [];

    // At least what the richest holds: who asks in vain, again and again, makes nobody look through all of them.
    private int _most;

    public void Add(TOwner owner) => _most = Math.Max(_most, _held[owner] = _held.GetValueOrDefault(owner) + 1);

    public void Remove(TOwner owner, int places = 1)
    {
        if (_held.TryGetValue(owner, out var held) && held > places)
        {
            _held[owner] = held - places;
        }
        else
        {
            _held.Remove(owner);
        }
    }

    /// <summary>Who is to give a place to <paramref name="newcomer"/>; false: nobody holds that much more.</summary>
    public bool TryFindRicher(TOwner newcomer, out TOwner richest)
    {
        var own = _held.GetValueOrDefault(newcomer);
        richest = newcomer;
        if (_most <= own + 1)
        {
            return false;
        }

        _most = 0;
        foreach (var (owner, held) in _held)
        {
            if (held > _most)
            {
                (richest, _most) = (owner, held);
            }
        }

        return _most > own + 1;
    }
}
